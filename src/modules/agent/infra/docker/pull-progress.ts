import type { ProgressDetails } from '../../domain/container-runtime.js';

/** A line of the engine's answer to a pull. */
export interface PullEvent {
  id?: string;
  status?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

interface Layer {
  /** Bytes to download; 0 as long as nobody knows. */
  total: number;
  downloaded: number;
  /** From 0 to 1. */
  unpacked: number;
  done: boolean;
}

/** How much of the work on a layer its download is; the rest is unpacking. */
const DOWNLOAD_SHARE = 0.7;

/** Adds up what the engine says of the layers of one pull. Layers become known, and sized, bit by bit. */
export class PullProgress {
  private readonly layers = new Map<string, Layer>();
  private percent = 0;

  note({ id, status = '', progressDetail }: PullEvent): void {
    if (!id) return;
    const known = this.layers.get(id);
    // The first line of all names the tag as its id; it is no layer.
    if (!known && !/^(Pulling fs layer|Already exists|Waiting|Downloading|Extracting)/.test(status)) return;
    const layer = known ?? { total: 0, downloaded: 0, unpacked: 0, done: false };
    this.layers.set(id, layer);
    const { current = 0, total = 0 } = progressDetail ?? {};
    if (status === 'Downloading') Object.assign(layer, { total: Math.max(total, layer.total), downloaded: current });
    if (/^(Verifying Checksum|Download complete|Extracting)/.test(status)) layer.downloaded = layer.total;
    if (status === 'Extracting' && total > 0) layer.unpacked = Math.min(1, current / total);
    if (/^(Pull complete|Already exists)/.test(status)) Object.assign(layer, { downloaded: layer.total, done: true });
  }

  /** Never goes back, although a layer whose size becomes known makes the whole larger. */
  details(): ProgressDetails & { percent: number } {
    const layers = [...this.layers.values()];
    const sum = (of: (layer: Layer) => number): number => layers.reduce((all, layer) => all + of(layer), 0);
    const bytes_total = sum(({ total }) => total);
    const sized = layers.filter(({ total }) => total > 0).length;
    const usual = sized === 0 ? 1 : bytes_total / sized; // the best guess for one whose size nobody knows yet
    const weight = (layer: Layer): number => layer.total || usual;
    const share = (layer: Layer): number => {
      if (layer.done) return 1;
      const downloaded = layer.total === 0 ? 0 : Math.min(1, layer.downloaded / layer.total);
      return DOWNLOAD_SHARE * downloaded + (1 - DOWNLOAD_SHARE) * layer.unpacked;
    };
    const whole = sum(weight);
    const part = whole === 0 ? 0 : sum((layer) => weight(layer) * share(layer)) / whole;
    const isWhole = layers.length > 0 && layers.every(({ done }) => done);
    this.percent = isWhole ? 100 : Math.max(this.percent, Math.min(99, Math.floor(100 * part)));
    return {
      percent: this.percent,
      layers_done: sum(({ done }) => (done ? 1 : 0)),
      layers_total: layers.length,
      bytes_done: sum(({ downloaded }) => downloaded),
      bytes_total,
    };
  }
}
