import { Query } from '../../../common/bus/contracts.js';

/** Room on the disk that this server's workspaces lie on, in bytes. */
export interface DiskRoom {
  free_bytes: number;
  min_free_bytes: number;
  /** Less is free than has to be: no run is dispatched until there is more. */
  under_pressure: boolean;
}

/** How much room this server has for workspaces, now. */
export class GetDiskQuery extends Query<DiskRoom> {}
