import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ProgressDetails } from '../../src/modules/agent/domain/container-runtime.js';
import { ContainerBox } from '../support/container-box.js';
import { docker } from '../support/containers.js';
import { Registry } from '../support/registry.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const LAYERS = 3;
const LAYER_BYTES = 8_000_000;

interface Told {
  message: string;
  details: ProgressDetails | undefined;
  at: number;
}

describeWithEngine('pulling an image', () => {
  let box: ContainerBox;
  let registry: Registry;

  beforeAll(() => {
    box = new ContainerBox();
  });

  beforeEach(async () => {
    registry = new Registry(LAYERS, LAYER_BYTES, (await docker.version()).Arch);
    await registry.open();
  });

  afterEach(async () => {
    await docker
      .getImage(`${registry.image}:latest`)
      .remove({ force: true })
      .catch(() => undefined);
    registry.close();
  });

  afterAll(() => box.close());

  const forever = (): AbortSignal => new AbortController().signal;

  function pull(told: Told[], signal = forever(), name = `${registry.image}:latest`) {
    const report = (message: string, details?: ProgressDetails): void => {
      told.push({ message, details, at: performance.now() });
    };
    return box.runtime.prepareImage(name, report, signal);
  }

  const percents = (told: Told[]): number[] => told.map(({ details }) => details?.percent ?? -1);

  it('tells each of several runs how far it is, and pulls once', async () => {
    registry.holdLayers();
    const told: Told[][] = [[], [], []];
    const first = [pull(told[0] ?? []), pull(told[1] ?? [])];
    await until('half of it', () => (told[0]?.at(-1)?.details?.percent ?? 0) >= 25);
    const late = pull(told[2] ?? []); // comes in the middle and hears at once where it stands
    await until('its first words', () => (told[2]?.length ?? 0) > 0);
    expect(percents(told[2] ?? [])[0]).toBeGreaterThanOrEqual(25);
    registry.goOn();

    const { Id: image_id } = await until('the image', () => docker.getImage(`${registry.image}:latest`).inspect());
    const image_digest = `${registry.image}@${registry.digest}`;
    for (const prepared of await Promise.all([...first, late])) expect(prepared).toEqual({ image_id, image_digest });
    expect(registry.asked).toEqual({ manifests: 1, layers: LAYERS });
    for (const list of told) {
      expect(percents(list)).toEqual(percents(list).toSorted((a, b) => a - b));
      expect(list.at(-1)?.details).toMatchObject({
        ...{ percent: 100, layers_done: LAYERS, layers_total: LAYERS },
        ...{ bytes_done: expect.any(Number) as number, bytes_total: expect.any(Number) as number },
      });
      expect(list.at(-1)?.details?.['bytes_total']).toBeGreaterThan(LAYERS * LAYER_BYTES * 0.99);
      expect(list.length).toBeLessThanOrEqual(22); // one for 5 %, and the first
    }
    expect(told[0]?.at(-1)?.message).toMatch(/3 of 3 layers, 24\.\d of 24\.\d MB$/);
  });

  it('goes on for others when one run is stopped', async () => {
    registry.holdLayers();
    const stop = new AbortController();
    const [stopped, other]: [Told[], Told[]] = [[], []];
    const first = pull(stopped, stop.signal);
    const second = pull(other);
    await until('the pull', () => registry.asked.layers > 0);
    stop.abort(new Error('stopped'));
    await expect(first).rejects.toThrow('stopped');
    const heard = stopped.length;
    registry.goOn();
    expect((await second).image_digest).toContain(registry.digest);
    expect(stopped).toHaveLength(heard);
    expect(registry.asked.manifests).toBe(1);
  });

  it('by a digest gives that very image, and does not ask a registry for one that is here', async () => {
    const name = `${registry.image}@${registry.digest}`;
    const prepared = await pull([], forever(), name);
    expect(prepared.image_digest).toBe(name);
    const told: Told[] = [];
    expect(await pull(told, forever(), name)).toEqual(prepared);
    expect(told).toEqual([]);
    expect(registry.asked).toMatchObject({ layers: LAYERS });
    await docker.getImage(prepared.image_id ?? '').remove({ force: true });
  });

  it('that is not there fails with a reason', async () => {
    registry.close();
    await expect(pull([])).rejects.toMatchObject({
      code: 'image.unavailable',
      message: /127\.0\.0\.1.*can't be pulled/,
    });
  });

  it('has no digest where it was made here', async () => {
    const prepared = await pull([], forever(), 'kandev/demo-agent:latest');
    expect(prepared).toEqual({ image_id: expect.stringMatching(/^sha256:/) as string, image_digest: null });
  });
});
