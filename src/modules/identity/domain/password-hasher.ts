/** Turns passwords into what may be stored, and recognises them again. */
export abstract class PasswordHasher {
  abstract hash(password: string): Promise<string>;

  /** With a hash of null, where there is no such account, it takes as long as ever and says no. */
  abstract verify(password: string, hash: string | null): Promise<boolean>;
}
