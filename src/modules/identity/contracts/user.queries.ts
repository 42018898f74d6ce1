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
