import { readFileSync } from 'node:fs';
import { UsageError } from './options.mjs';

const HOW = `Nobody is signed in. Give an API key, or the access token of a sign-in, in one of these:

  KANDEV_API_KEY=… npm run watch -- TASK_ID
  KANDEV_TOKEN=… npm run watch -- TASK_ID
  npm run watch -- TASK_ID --token-file FILE

A key that lasts, made once (for a server of this machine, with your own email and password):

  api=http://127.0.0.1:8080/api/v1
  token=$(curl -s $api/auth/login -H 'Content-Type: application/json' \\
    -d '{"email": "you@example.com", "password": "…"}' | jq -r .access_token)
  curl -s $api/api-keys -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \\
    -d '{"name": "watch"}' | jq -r .key`;

/**
 * The access token or API key to show.
 *
 * @param {string | undefined} file `--token-file`
 * @param {NodeJS.ProcessEnv} env
 * @throws {UsageError} where there is none
 */
export function readToken(file, env) {
  const token = file === undefined ? (env.KANDEV_API_KEY ?? env.KANDEV_TOKEN) : readFirstLine(file);
  if (!token) throw new UsageError(file === undefined ? HOW : `${file} is empty.`);
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError('The token holds characters that no token has.');
  return token;
}

function readFirstLine(file) {
  try {
    return readFileSync(file, 'utf8').trim().split('\n')[0];
  } catch (error) {
    throw new UsageError(`${file} can't be read (${error.code}).`);
  }
}
