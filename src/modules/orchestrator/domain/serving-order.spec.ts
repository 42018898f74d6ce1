import { describe, expect, it } from 'vitest';
import { positionOf, servingOrder, type ShareOfQueue } from './serving-order.js';

const share = (columns: Partial<ShareOfQueue>): ShareOfQueue => ({
  ...{ board_id: 'a', user_id: 'u', board_pass: 0, user_pass: 0, board_service: 0, user_service: 0 },
  ...{ board_place: 0, user_place: 0, board_step: 1, user_step: 1, queued: 1 },
  ...columns,
});
const served = (shares: ShareOfQueue[]) =>
  [...servingOrder(shares)].map(({ share: { board_id, user_id }, nth }) => `${board_id}${user_id}${nth}`).join(' ');

describe('the order of the queue', () => {
  it('takes turns between boards, and on a board between its users', () => {
    const shares = [
      share({ queued: 3 }),
      share({ user_id: 'v', queued: 1 }),
      share({ board_id: 'b', queued: 2, board_pass: 1 }),
    ];
    expect(served(shares)).toBe('au1 bu1 av1 bu2 au2 au3');
  });

  it('serves twice the weight twice as often', () => {
    expect(served([share({ queued: 4, board_step: 0.5 }), share({ board_id: 'b', queued: 2 })])).toBe(
      'au1 bu1 au2 bu2 au3 au4',
    );
  });

  it('lets who could not be served for a while go first, once, and not make up for all of it', () => {
    const behind = share({ queued: 3, board_service: 10 });
    expect(served([behind, share({ board_id: 'b', queued: 2, board_pass: 10, board_service: 10 })])).toBe(
      'au1 bu1 au2 bu2 au3',
    );
  });

  it('serves among equals who has waited for longest, and nobody twice before that one', () => {
    const late = share({ board_id: 'a', queued: 2, board_pass: 0, board_place: 9 });
    const first = share({ board_id: 'b', board_pass: 1, board_place: 5 });
    expect(served([late, first])).toBe('au1 bu1 au2');
    expect(served([share({ user_place: 2 }), share({ user_id: 'v', user_place: 1 })])).toBe('av1 au1');
  });

  it('is empty where nothing is queued', () => {
    expect(served([])).toBe('');
    expect(served([share({ queued: 0 })])).toBe('');
  });

  it('gives every run the position that is computed for it alone', () => {
    const seed = Date.now() % 1e9;
    const random = lcg(seed);
    for (let round = 0; round < 50; round++) {
      const shares: ShareOfQueue[] = [];
      for (const board_id of 'abcd'.slice(0, 1 + random(4))) {
        const board = {
          board_id,
          board_pass: random(4),
          board_place: random(9),
          board_service: 2,
          board_step: 1 / (1 + random(10)),
        };
        for (const user_id of 'uvw'.slice(0, 1 + random(3))) {
          const user = {
            user_id,
            user_pass: random(3),
            user_place: random(9),
            user_service: 1,
            user_step: 1 / (1 + random(10)),
          };
          shares.push({ ...board, ...user, queued: random(12) });
        }
      }
      const positions = [...servingOrder(shares)].map((place) => positionOf(shares, place));
      expect(positions, `seed ${seed}, round ${round}`).toEqual(positions.map((_, index) => index + 1));
    }
  });
});

/** Whole numbers below a bound, the same ones for the same seed. */
function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
