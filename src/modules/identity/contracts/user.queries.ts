import { Query } from '../../../common/bus/contracts.js';

/** What every user may know of another one. */
export interface UserName {
  id: string;
  username: string;
}

/** The users of these ids, those that exist, in no order. No access check: for names beside ids that the caller may see. */
export class FindUsersQuery extends Query<UserName[]> {
  constructor(readonly ids: string[]) {
    super();
  }
}

/** The id of the one user there is, disabled or not; null where there is none, or more than one. */
export class FindSoleUserQuery extends Query<string | null> {}

/** The name and address that a user's commits carry; null where there is no such user. No access check. */
export class FindAuthorQuery extends Query<{ name: string; email: string } | null> {
  constructor(readonly user_id: string) {
    super();
  }
}
