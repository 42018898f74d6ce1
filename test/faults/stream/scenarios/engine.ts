import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { buildDemoImage, engineAnswers } from '../../../../scripts/build-demo-image.mjs';
import { PrivateEngine } from '../../../support/private-engine.js';
import { CannotRunHere, steady, type Scenario } from '../scenario.js';
import { AGENT_FILE, StreamTrial } from '../trial.js';

const IMAGE = 'kandev/demo-agent';
const WITH_AGENT = 'kandev-test/numbered-agent';
const AWAY_MS = 1_500;

export const engineKilled: Scenario = {
  name: 'dockerd-killed',
  about: 'kill -9 of a dockerd with live-restore, at times together with the server: agents live on',
  async run(context) {
    const { world, random, quick } = context;
    if (process.getuid?.() !== 0 || !(await engineAnswers())) throw new CannotRunHere('needs root and Docker');
    await buildDemoImage();
    const engine = await PrivateEngine.open(world.folder('engine'));
    world.later(() => engine.close());
    await engine.take(`${IMAGE}:latest`, new Dockerode());
    await engine.addFile(IMAGE, AGENT_FILE, WITH_AGENT);
    const trial = await StreamTrial.open(world, { env: { DOCKER_HOST: engine.host } });
    const kills = quick ? 2 : 8;
    const plan = steady(context, '/workspace/enough', 500);
    const command = ['node', '--disable-warning=ExperimentalWarning', `/${basename(AGENT_FILE)}`];
    const type = { runtime: 'docker', docker_image: WITH_AGENT, network: 'none', command };
    const numbered = await trial.begin(plan, 4, type);
    await trial.grown(numbered, 100);
    for (let done = 0; done < kills; done++) {
      await trial.grown(numbered, 1 + Math.floor(random() * 500));
      await engine.kill();
      await trial.grown(numbered, 200); // nobody needs an engine to read a file
      if (done % 2 === 1) await trial.server.kill();
      await sleep(random() * AWAY_MS);
      await engine.start();
      if (done % 2 === 1) await trial.server.start();
    }
    writeFileSync(join(trial.server.place.home, 'workspaces', numbered.task_id, 'workspace', 'enough'), '');
    return trial.judge([numbered], `${kills} kills of dockerd, ${Math.floor(kills / 2)} with the server`);
  },
};
