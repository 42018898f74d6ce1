import { describe, expect, it } from 'vitest';
import { cloneFailed } from './clone-failures.js';

describe('a clone that has failed', () => {
  it.each([
    ["fatal: unable to access 'https://h/x/': Could not resolve host: h", 'workspace.unreachable'],
    ["fatal: unable to access 'https://h/x/': Failed to connect to h port 443 after 2 ms", 'workspace.unreachable'],
    ['ssh: connect to host h port 22: Connection refused', 'workspace.unreachable'],
    ['fatal: unable to connect to h: h[0: 1.2.3.4]: errno=No route to host', 'workspace.unreachable'],
    ["fatal: unable to access 'https://h/x/': The requested URL returned error: 503", 'workspace.unreachable'],
    ["fatal: unable to access 'https://h/x/': The requested URL returned error: 429", 'workspace.unreachable'],
    ['error: RPC failed; curl 18 transfer closed fatal: early EOF', 'workspace.unreachable'],
    ['fatal: the remote end hung up unexpectedly', 'workspace.unreachable'],
    ["fatal: Authentication failed for 'https://h/x/'", 'workspace.clone_failed'],
    ['git@h: Permission denied (publickey). fatal: the remote end hung up unexpectedly', 'workspace.clone_failed'],
    ["fatal: unable to access 'https://h/x/': The requested URL returned error: 404", 'workspace.clone_failed'],
    ["fatal: unable to access 'https://h/x/': The requested URL returned error: 403", 'workspace.clone_failed'],
    ["fatal: unable to access 'https://h/x/': SSL certificate problem: self-signed", 'workspace.clone_failed'],
    ['Host key verification failed.', 'workspace.clone_failed'],
    ['fatal: not a git repository', 'workspace.clone_failed'],
    ['', 'workspace.clone_failed'],
    ['fatal: write error: No space left on device', 'workspace.too_large'],
  ])('%j: %s', (errors, code) => {
    expect(cloneFailed(errors).code).toBe(code);
  });
});
