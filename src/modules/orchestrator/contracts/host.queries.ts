import { Query } from '../../../common/bus/contracts.js';

/** What a host is called; null where nobody knows it (any more). No access check. */
export class FindHostNameQuery extends Query<string | null> {
  constructor(readonly host_id: string) {
    super();
  }
}

/** Whether the host was heard of within `KANDEV_HOST_LOST_SECONDS`; false where nobody knows it (any more). No access check. */
export class IsHostUpQuery extends Query<boolean> {
  constructor(readonly host_id: string) {
    super();
  }
}
