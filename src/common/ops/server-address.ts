import { Injectable } from '@nestjs/common';

/** Where this server listens, once it does: the configured port may be 0, for any free one. */
@Injectable()
export class ServerAddress {
  /** Such as `http://127.0.0.1:8080`, without a slash at the end. Empty before the server listens. */
  url = '';
}
