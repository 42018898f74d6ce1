import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/**
 * A registry of images on loopback, which engines trust without encryption: as much of the distribution API as a pull
 * asks for. Its one image has layers of random bytes, new ones each time, that nobody has yet.
 */
export class Registry {
  /** How often it was asked what the tag means, and for layers. */
  readonly asked = { manifests: 0, layers: 0 };
  readonly digest: string;
  private readonly blobs = new Map<string, Buffer>();
  private readonly manifest: Buffer;
  private readonly server: Server;
  private port = 0;
  private release: () => void = () => undefined;
  private gate: Promise<void> = Promise.resolve();

  constructor(layers: number, layerBytes: number, architecture: string) {
    const made = Array.from({ length: layers }, (_, index) => layer(`file-${index}`, layerBytes));
    const config = this.keep(
      Buffer.from(
        JSON.stringify({
          ...{ architecture, os: 'linux', config: { Cmd: ['/file-0'] } },
          rootfs: { type: 'layers', diff_ids: made.map(digestOf) },
        }),
      ),
    );
    const descriptors = made.map((tar) => ({ mediaType: LAYER, ...this.keep(gzipSync(tar, { level: 1 })) }));
    const manifest = {
      ...{ schemaVersion: 2, mediaType: MANIFEST, config: { mediaType: CONFIG, ...config } },
      layers: descriptors,
    };
    this.manifest = Buffer.from(JSON.stringify(manifest));
    this.digest = digestOf(this.manifest);
    this.server = createServer((request, response) => void this.answer(request.url ?? '', request.method, response));
  }

  async open(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    ({ port: this.port } = this.server.address() as AddressInfo);
  }

  /** `127.0.0.1:port/repository`. */
  get image(): string {
    return `127.0.0.1:${this.port}/kandev-test/pulled`;
  }

  /** Half of each layer is sent, and no more until {@link goOn}. */
  holdLayers(): void {
    this.gate = new Promise((resolve) => (this.release = resolve));
  }

  goOn(): void {
    this.release();
  }

  close(): void {
    this.goOn();
    this.server.close();
    this.server.closeAllConnections();
  }

  private keep(bytes: Buffer): { digest: string; size: number } {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  private async answer(url: string, method: string | undefined, response: ServerResponse): Promise<void> {
    const [, kind, reference = ''] = /\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    const blob = kind === 'blobs' ? this.blobs.get(reference) : undefined;
    if (url === '/v2/') return void response.end('{}');
    if (kind === 'manifests') {
      if (!reference.startsWith('sha256:')) this.asked.manifests++; // newer engines only look, and get by digest
      response.writeHead(200, {
        ...{ 'content-type': MANIFEST, 'docker-content-digest': this.digest },
        'content-length': this.manifest.length,
      });
      return void response.end(method === 'HEAD' ? undefined : this.manifest);
    }
    if (!blob) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': blob.length });
    if (blob.length < 10_000) return void response.end(blob); // the configuration
    this.asked.layers++;
    // Slowly: an engine tells of a layer at most ten times a second, and only when bytes come.
    const part = Math.ceil(blob.length / 20);
    for (let sent = 0; sent < 10 * part; sent += part) {
      response.write(blob.subarray(sent, sent + part));
      await sleep(110);
    }
    await this.gate;
    response.end(blob.subarray(10 * part));
  }
}

function layer(name: string, bytes: number): Buffer {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-layer-'));
  try {
    writeFileSync(join(directory, name), randomBytes(bytes));
    return execFileSync('tar', ['-C', directory, '-c', name], { maxBuffer: 2 * bytes + 100_000 });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
