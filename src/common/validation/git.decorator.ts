import { Check } from './check.decorator.js';
import { gitBranchProblem } from './git-branch.js';
import { repositoryUrlProblem } from './repository-url.js';

/** The name of a git branch. */
export const IsGitBranch = (): PropertyDecorator =>
  Check('isGitBranch', gitBranchProblem, { minLength: 1, maxLength: 255 });

/** The address of a git repository, without any secret in it. */
export const IsRepositoryUrl = (): PropertyDecorator =>
  Check('isRepositoryUrl', repositoryUrlProblem, { minLength: 1, maxLength: 500 });
