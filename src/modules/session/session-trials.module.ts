import { Module } from '@nestjs/common';
import { TrialDialogues } from '../agent/contracts/trial-dialogues.js';
import { SessionTrials } from './app/trial/session-trials.js';

/** Dialogues for the trial of an agent; needs no database. */
@Module({ providers: [{ provide: TrialDialogues, useClass: SessionTrials }], exports: [TrialDialogues] })
export class SessionTrialsModule {}
