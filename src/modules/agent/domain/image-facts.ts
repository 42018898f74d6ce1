/** What an image says of itself. */
export interface ImageFacts {
  size_bytes: number;
  /** Entrypoint and command together; empty where it names none. */
  command: string[];
  /** `USER` of the image; empty is root. */
  user: string;
  labels: Record<string, string>;
  has_health_check: boolean;
}
