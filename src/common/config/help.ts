import { settings } from './settings.js';

const WIDTH = 32;

/** What `--help` prints. */
export function helpText(): string {
  const rows = [
    ['KANDEV_HOME', 'where the server keeps everything (~/.kandev)'],
    ['KANDEV_CONFIG', 'configuration file (KANDEV_HOME/config.yaml)'],
    ...settings.map(({ name, help }) => [name, help]),
  ];
  return `Kandev: runs AI coding agents for the tasks on your boards.

  npm start        starts the server; with nothing set it brings its own PostgreSQL and listens on 127.0.0.1:8080
  npm run demo     shows an agent at work, from an empty database to a repaired repository

Environment, each also a key of the configuration file:
${rows.map(([name = '', help = '']) => `  ${name.padEnd(WIDTH)}${help}`).join('\n')}

SIGTERM or Ctrl-C ends the server and leaves agents running; the next start takes them over.
`;
}
