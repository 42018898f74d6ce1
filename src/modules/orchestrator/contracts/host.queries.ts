import { Query } from '../../../common/bus/contracts.js';

/** What a host is called; null where nobody knows it (any more). No access check. */
export class FindHostNameQuery extends Query<string | null> {
  constructor(readonly host_id: string) {
    super();
  }
}
