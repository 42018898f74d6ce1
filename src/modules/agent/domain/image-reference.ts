import { isIPv6 } from 'node:net';

/** Columns of the row, and of the attempt that keeps both joined. */
const MAX_IMAGE = 255;
const MAX_TAG = 100;
const MAX_REFERENCE = 255;
const MAX_PORT = 65_535;

const HOST_PART = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]*$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** The engine would take it for the id of an image. */
const IMAGE_ID = /^[0-9a-f]{64}$/;

/**
 * What is wrong with the name of an image, `[host[:port]/]path`, in words that follow its field's name. The grammar is
 * the one of the distribution project, which engines and registries share.
 */
export function imageNameProblem(name: string): string | undefined {
  if (name === '') return 'must not be empty';
  if (name.length > MAX_IMAGE) return `must have at most ${MAX_IMAGE} characters`;
  if (name.includes('@')) return 'must be without digest: write it as docker_tag, such as sha256:…';
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const hasHost = first === 'localhost' || /[.:[A-Z]/.test(first);
  if (hasHost && !isHost(first)) return 'must begin with a host such as registry.example.com:5000, or with a path';
  const path = hasHost ? name.slice(slash + 1) : name;
  if (path.includes(':')) return 'must be without tag: write it as docker_tag';
  if (IMAGE_ID.test(path) && !hasHost) return "must be a name, not an image's id";
  if (path.split('/').every((part) => PATH_PART.test(part))) return undefined;
  return 'must have parts of lower-case letters and digits, joined by ".", "_", "__" or "-", such as kandev/demo-agent';
}

/** What is wrong with a tag, or a digest in its place. */
export function imageTagProblem(tag: string): string | undefined {
  if (tag.includes(':')) return DIGEST.test(tag) ? undefined : 'must be a tag, or a digest: sha256: and 64 hex digits';
  if (tag.length > MAX_TAG) return `must have at most ${MAX_TAG} characters`;
  return TAG.test(tag) ? undefined : 'must be a tag of letters, digits, "_", "." and "-", such as latest';
}

/** What the engine is asked for: name and tag, or name and digest. */
export function imageReference(name: string, tag: string): string {
  return tag.includes(':') ? `${name}@${tag}` : `${name}:${tag}`;
}

/** Name and tag may be right one by one and too long together. */
export function imageReferenceProblem(name: string, tag: string): string | undefined {
  if (imageReference(name, tag).length <= MAX_REFERENCE) return undefined;
  return `must be shorter: with its tag it may have at most ${MAX_REFERENCE} characters`;
}

function isHost(text: string): boolean {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (port !== undefined && (Number(port) < 1 || Number(port) > MAX_PORT)) return false;
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1)) && !host.includes('%');
  return host.split('.').every((part) => HOST_PART.test(part));
}
