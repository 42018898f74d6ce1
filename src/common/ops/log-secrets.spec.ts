import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { forgetInLogs, hideInLogs, withoutSecrets } from './log-secrets.js';

describe('a line of the log', () => {
  const lines: string[] = [];
  const logger = pino({ hooks: { streamWrite: withoutSecrets } }, { write: (line: string) => void lines.push(line) });

  afterEach(() => {
    lines.length = 0;
    for (const owner of ['a', 'b']) forgetInLogs(owner);
  });

  it('passes all who have secrets, wherever these stand in it', () => {
    hideInLogs('a', (line) => line.replaceAll('swordfish', '***'));
    hideInLogs('b', (line) => line.replaceAll('open sesame', '***'));
    logger.error({ err: new Error('KEY=swordfish refused'), env: ['open sesame'] }, 'swordfish and open sesame');
    expect(lines.join('')).not.toMatch(/swordfish|open sesame/);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: '*** and ***',
      err: { message: 'KEY=*** refused' },
      env: ['***'],
    });
  });

  it('is as it is when nobody has any', () => {
    hideInLogs('a', () => '');
    forgetInLogs('a');
    logger.info('swordfish');
    expect(lines.join('')).toContain('swordfish');
  });
});
