/** A file that an agent has left: regular, with one name, inside the folder it was looked for in. */
export interface FoundFile {
  /** Path below the folder, with `/`. */
  relative_path: string;
  /** Bytes. */
  size: number;
  /** Copies the bytes to `destination` (host path, replaced whole) and returns their SHA-256 in hex. */
  copyTo(destination: string): Promise<string>;
}

/** Reads files out of folders that an agent could write to. Links, devices and FIFOs are not files here. */
export abstract class AgentFiles {
  /** All files below `root`, in order of path; at most `maxFiles`, larger ones than `maxBytes` left out. */
  abstract list(root: string, maxFiles: number, maxBytes: number): Promise<FoundFile[]>;
  /** One file by its path below `root`, or null. */
  abstract find(root: string, relativePath: string, maxBytes: number): Promise<FoundFile | null>;
}
