import { Injectable, Optional } from '@nestjs/common';
import { productVersion } from '../../../../common/http/api-document/product-version.js';
import { Transactions } from '../../../../common/persistence/transactions.js';
import {
  TrialDialogues,
  type TrialDialogue,
  type TrialPlan,
  type TrialQuirks,
} from '../../../agent/contracts/trial-dialogues.js';
import type { SessionDB } from '../session-rows.js';
import { SessionTrial } from './session-trial.js';

/** Trials of agents with the very dialogue that their runs have. */
@Injectable()
export class SessionTrials extends TrialDialogues {
  /** The check of an image has no database. */
  constructor(@Optional() private readonly transactions?: Transactions) {
    super();
  }

  open(plan: TrialPlan): TrialDialogue {
    return new SessionTrial(plan, { name: 'kandev', version: productVersion() });
  }

  async quirksOf(agentType: string): Promise<TrialQuirks> {
    const row = await this.transactions
      ?.kysely<SessionDB>()
      .selectFrom('session_settings')
      .select('quirks')
      .where('scope', '=', 'agent_type')
      .where('subject', '=', agentType)
      .executeTakeFirst();
    return row?.quirks ?? {};
  }
}
