import { node } from './agents.js';

/** What an agent sees when it looks around. */
export interface View {
  uid: number;
  gid: number;
  status: Record<string, string>;
  interfaces: string[];
  /** Mount options by mount point. */
  mounts: Record<string, string[]>;
  writable: string[];
  reachable: string[];
  env: Record<string, string>;
  sockets: string[];
  pids_max: string;
  /** Programs that it sees, and those of them whose memory it may write to. */
  processes: Record<string, string>;
  writable_memory: string[];
  /** Nodes in `/dev`. */
  devices: string[];
  /** The content of its task file. */
  task: Record<string, unknown>;
  /** The file with its own key; not the key. */
  key: { mode: string; uid: number; length: number };
}

/**
 * Command of an agent that looks around, says all it sees in one message of status `looked`, and waits for its end.
 * Besides well-known addresses it tries 127.0.0.1 at `PORT`.
 */
export const LOOK_AROUND = node(`
  const fs = require('node:fs'), net = require('node:net');
  const lines = (file) => fs.readFileSync(file, 'utf8').trimEnd().split('\\n');
  const tries = (candidates, attempt) => candidates.filter((one) => {
    try { attempt(one); return true } catch { return false }
  });
  const connects = (host, port) => new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: 1000 }, () => resolve(true));
    for (const event of ['error', 'timeout']) socket.on(event, () => { socket.destroy(); resolve(false) });
  });
  (async () => {
    const mounts = lines('/proc/self/mountinfo').map((line) => line.split(' ')).map((fields) => {
      return [fields[4], fields[5].split(',')];
    });
    const addresses = [
      ['1.1.1.1', 443], ['8.8.8.8', 53], ['169.254.169.254', 80], ['fd00:ec2::254', 80], ['172.17.0.1', 22],
      ['172.17.0.1', 2375], ['172.17.0.1', Number(process.env.PORT)], ['127.0.0.1', Number(process.env.PORT)],
      ['127.0.0.1', 3128], ['127.0.0.11', 53], ['example.com', 80], ['host.docker.internal', 80],
    ];
    const places = [
      '/', '/etc', '/etc/hosts', '/etc/resolv.conf', '/bin', '/usr', '/run', '/proc/sys/kernel/core_pattern',
      '/proc/sys/vm/overcommit_memory', '/proc/sysrq-trigger', '/sys/kernel', '/sys/fs/cgroup', '/dev',
      '/run/kandev-gateway', '/run/kandev-launcher', '/sbin/docker-init', '/usr/sbin/docker-init',
      '/dev/shm', '/workspace', '/run/kandev', '/tmp', '/home/agent',
    ];
    const pids = fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name));
    const name = (pid) => { try { return fs.readlinkSync('/proc/' + pid + '/exe') } catch { return 'unknown' } };
    const reached = await Promise.all(addresses.map(([host, port]) => connects(host, port)));
    const data = {
      uid: process.getuid(), gid: process.getgid(),
      status: Object.fromEntries(lines('/proc/self/status').map((line) => line.split(/:\\s*/))),
      interfaces: lines('/proc/net/dev').slice(2).map((line) => line.split(':')[0].trim()),
      mounts: Object.fromEntries(mounts),
      writable: tries(places, (path) => {
        fs.writeFileSync(fs.statSync(path).isDirectory() ? path + '/probe-of-the-agent' : path, 'x');
      }),
      reachable: addresses.filter((_, index) => reached[index]).map((address) => address.join(':')),
      env: process.env,
      task: JSON.parse(fs.readFileSync('/run/kandev/task.json', 'utf8')),
      key: (({ mode, uid }) => ({
        mode: (mode & 0o7777).toString(8), uid, length: fs.readFileSync('/run/kandev/api-key', 'utf8').trim().length,
      }))(fs.statSync('/run/kandev/api-key')),
      sockets: tries(['/run/docker.sock', '/var/run/docker.sock', '/run/containerd/containerd.sock'], fs.lstatSync),
      processes: Object.fromEntries(pids.map((pid) => [pid, name(pid)])),
      // The same right that is needed to trace it. Numbers beyond its own: as if it had guessed them.
      writable_memory: tries([...pids, process.env.SERVER_PID], (pid) => {
        fs.closeSync(fs.openSync('/proc/' + pid + '/mem', 'r+'));
      }),
      devices: fs.readdirSync('/dev', { withFileTypes: true })
        .filter((one) => one.isCharacterDevice() || one.isBlockDevice()).map((one) => one.name),
      pids_max: lines(tries(['/sys/fs/cgroup/pids/pids.max', '/sys/fs/cgroup/pids.max'], fs.statSync)[0])[0],
    };
    console.log(JSON.stringify({ type: 'status', data: { status: 'looked', view: data } }));
    setInterval(() => {}, 1000);
  })();
`);
