import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../../../common/errors/domain-error.js';
import type { ArtifactFile } from '../app/artifact.queries.js';
import { attachment } from './attachment.js';
import { byteRange, type ByteRange } from './byte-range.js';

const TYPE = 'application/octet-stream';
/** To be saved, never shown; and a browser that shows it all the same is to run nothing of it. */
const CONFINED = "default-src 'none'; sandbox; frame-ancestors 'none'";

/**
 * Answers with an artifact or with the part of it that is asked for, and closes it in any case.
 * @throws DomainError `request.range_not_satisfiable`
 */
export async function answerWith(
  { handle, name, size, sha256 }: ArtifactFile,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<StreamableFile> {
  const etag = `"${sha256}"`;
  void reply.headers({ 'Accept-Ranges': 'bytes', ETag: etag, 'Content-Security-Policy': CONFINED });
  const isHead = request.method === 'HEAD';
  const range = isHead ? null : wanted(request, etag, size);
  if (range === 'none' || isHead || size === 0) await handle.close();
  if (range === 'none') {
    void reply.header('Content-Range', `bytes */${size}`);
    throw new DomainError(
      'range',
      'request.range_not_satisfiable',
      `The artifact has ${size} bytes, none in that range.`,
    );
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  if (range) void reply.status(206).header('Content-Range', `bytes ${start}-${end}/${size}`);
  const bytes = isHead || size === 0 ? Readable.from([]) : handle.createReadStream({ start, end });
  return new StreamableFile(bytes, { type: TYPE, disposition: attachment(name), length: end - start + 1 });
}

/** A part of another version than the one the client has the beginning of would be no use to it. */
function wanted({ headers }: FastifyRequest, etag: string, size: number): ByteRange | 'none' | null {
  const condition = headers['if-range'];
  return condition === undefined || condition === etag ? byteRange(headers.range, size) : null;
}
