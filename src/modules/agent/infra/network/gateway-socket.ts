import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';

const NAME = 'gateway.sock';
/** On the host nobody else gets this far; in a container the mount begins below. */
const PARENT_MODE = 0o700;
/** The agent's user passes through and can't list or write; what it connects to decides what it may. */
const DIRECTORY_MODE = 0o711;
const SOCKET_MODE = 0o666;

/**
 * Lets a server listen at `gateway.sock` in a directory, which is made where it is missing. Whatever was there before is
 * replaced in one step. The path may be longer than the 107 bytes that the name of a socket can have.
 */
export async function listenIn(server: Server, directory: string): Promise<void> {
  await mkdir(dirname(directory), { recursive: true, mode: PARENT_MODE });
  await mkdir(directory, { recursive: true });
  await chmod(directory, DIRECTORY_MODE); // whatever the umask says
  const handle = await open(directory, 'r');
  // A server removes what it is bound to when it closes, by this same name: it has to mean the same until then.
  server.once('close', () => void handle.close());
  const fresh = `${NAME}.new`;
  await rm(join(directory, fresh), { force: true });
  const short = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : directory;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(short, fresh), () => {
        server.off('error', reject);
        resolve();
      });
    });
    await chmod(join(directory, fresh), SOCKET_MODE);
    await rename(join(directory, fresh), join(directory, NAME));
  } catch (error) {
    if (server.listening) server.close();
    else await handle.close();
    throw error;
  }
}

/** Nobody finds the socket any more; absent is fine. */
export async function removeSocket(directory: string): Promise<void> {
  await rm(join(directory, NAME), { force: true });
}
