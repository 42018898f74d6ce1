import { StreamTrial } from '../trial.js';
import type { Scenario } from '../scenario.js';

const KIB = 1024;
const MIB = KIB * KIB;
/** Around a pipe's and a disk's page, Docker's own pieces, and the longest line that is one message. */
const LENGTHS = [16 * KIB, 64 * KIB, MIB].flatMap((size) => [size - 1, size, size + 1, 100]);

export const lineLengths: Scenario = {
  name: 'line-lengths',
  about: 'lines of 0, 1, 16 KiB ± 1, 64 KiB ± 1 and 1 MiB ± 1 bytes',
  async run({ world, seed, quick }) {
    const trial = await StreamTrial.open(world);
    const fillers = [
      { text: '', times: 2 },
      { text: 'x', times: 3 },
    ];
    const plan = { seed, lines: quick ? 24 : 240, lengths: LENGTHS, fillers };
    const all = [await trial.begin(plan, 4), await trial.begin({ ...plan, chunk: [1_000, 100_000] }, 4)];
    return trial.judge(all, `${LENGTHS.length} lengths`);
  },
};

export const hugeLine: Scenario = {
  name: 'huge-line',
  about: 'a line of 100 MiB between others',
  async run({ world, seed, quick }) {
    const trial = await StreamTrial.open(world);
    const size = (quick ? 10 : 100) * MIB;
    const numbered = await trial.begin({ seed, lines: 5, lengths: [100, 200, size, 300, 100] }, 3);
    return trial.judge([numbered], `${size / MIB} MiB`);
  },
};

export const byteWrites: Scenario = {
  name: 'byte-writes',
  about: 'every byte a write of its own',
  async run({ world, seed, quick }) {
    const trial = await StreamTrial.open(world);
    const numbered = await trial.begin({ seed, lines: quick ? 200 : 5_000, chunk: [1, 1] }, 4);
    return trial.judge([numbered], 'one byte a write');
  },
};

export const emptyLines: Scenario = {
  name: 'empty-lines',
  about: 'a million empty lines',
  async run({ world, seed, quick }) {
    const trial = await StreamTrial.open(world);
    const times = quick ? 500 : 10_000;
    const numbered = await trial.begin({ seed, lines: 100, fillers: [{ text: '', times }] }, 4);
    return trial.judge([numbered], `${100 * times} empty lines`, { limitMs: 600_000 });
  },
};

export const truncates: Scenario = {
  name: 'truncates',
  about: 'the agent cuts its own output off: a typed failure, and what was there before is kept',
  async run({ world, seed }) {
    const trial = await StreamTrial.open(world);
    const lines = 3_000;
    const numbered = await trial.begin({ seed, lines, truncates: true }, 4);
    return trial.judge([numbered], 'agent.output_truncated', {
      ...{ state: 'FAILED', failure_code: 'agent.output_truncated', atLeast: lines },
    });
  },
};

export const overfills: Scenario = {
  name: 'overfills',
  about: 'the agent writes more than it may: a typed failure, and what was there before is kept',
  async run({ world, seed }) {
    const limit = 4 * MIB;
    const trial = await StreamTrial.open(world, { env: { KANDEV_MAX_OUTPUT_BYTES: String(limit) } });
    const numbered = await trial.begin({ seed, lines: 50_000_000 }, 4);
    return trial.judge([numbered], 'agent.output_limit', {
      // Lines have some 210 bytes at most.
      ...{ state: 'FAILED', failure_code: 'agent.output_limit', atLeast: Math.floor(limit / 210) - 1 },
    });
  },
};
