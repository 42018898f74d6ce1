import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gitBranchProblem } from '../../../common/validation/git-branch.js';
import { workBranch } from './work-branch.js';

const ID = '0199a1b2-c3d4-7e5f-8a9b-0c1d1a2b3c4d';

describe('the branch of a task', () => {
  it.each([
    ['Repair the discount', 'repair-the-discount'],
    ['  Fix: #42 -- "Ünïcode" & groß!  ', 'fix-42-unicode-gross'],
    ['修复', 'task'],
    ['../../etc/passwd', 'etc-passwd'],
    ['--upload-pack=x', 'upload-pack-x'],
    ['x.lock', 'x-lock'],
    ['', 'task'],
    ['A title that is much too long for a branch name', 'a-title-that-is-much-too-long-for-a'],
    ['x'.repeat(100), 'x'.repeat(40)],
  ])('%j', (title, slug) => expect(workBranch(ID, title)).toBe(`kandev/1a2b3c4d-${slug}`));

  it('is a valid name, short, and always the same', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string({ unit: 'binary', maxLength: 200 }), (id, title) => {
        const branch = workBranch(id, title);
        expect(branch).toMatch(/^kandev\/[0-9a-f]{8}-[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/);
        expect(gitBranchProblem(branch)).toBeUndefined();
        expect(workBranch(id, title)).toBe(branch);
      }),
    );
  });
});
