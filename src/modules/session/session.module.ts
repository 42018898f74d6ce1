import { Global, Module } from '@nestjs/common';
import { AgentDialogues } from '../agent/contracts/agent-dialogues.js';
import { AgentTypeSettingsController } from './api/agent-type-session-settings.controller.js';
import { ApprovalsController } from './api/approvals.controller.js';
import { BoardSettingsController } from './api/board-session-settings.controller.js';
import { KeptFramesController } from './api/kept-frames.controller.js';
import { PromptsController } from './api/prompts.controller.js';
import { AddPromptHandler } from './app/add-prompt.js';
import { AnswerPermissionHandler } from './app/answer-permission.js';
import { RemoveSessionSettingsHandler, SetSessionSettingsHandler } from './app/change-session-settings.js';
import { DialoguePermissions } from './app/dialogue-permissions.js';
import { DialogueTurns } from './app/dialogue-turns.js';
import { FollowUps } from './app/follow-ups.js';
import { KeptFrames } from './app/kept-frames.js';
import { ListKeptFramesHandler } from './app/kept-frames.queries.js';
import { GetPermissionRequestHandler, ListPermissionRequestsHandler } from './app/permission-requests.queries.js';
import { ListPromptsHandler } from './app/prompt.queries.js';
import { PromptKeeper } from './app/prompt-keeper.js';
import { SessionAutomation } from './app/session-automation.js';
import { SessionDialogues } from './app/session-dialogues.js';
import { SessionNews } from './app/session-news.js';
import { GetSessionSettingsHandler } from './app/session-settings.queries.js';
import { SettingsSubjects } from './app/settings-subjects.js';
import { ListTurnUsageHandler } from './app/turn-usage.query.js';
import { AgentSession, SessionFrame } from './domain/agent-session.entity.js';
import { KeptFrame } from './domain/kept-frame.entity.js';
import { PermissionRequest } from './domain/permission-request.entity.js';
import { Prompt } from './domain/prompt.entity.js';
import { SessionSettings } from './domain/session-settings.entity.js';
import { SessionTrialsModule } from './session-trials.module.js';

export const sessionEntities = [AgentSession, SessionFrame, KeptFrame, Prompt, PermissionRequest, SessionSettings];

/**
 * Sessions with agents that speak the Agent Client Protocol: prompts, permission requests, and the dialogue itself. Global,
 * as the agent module asks for dialogues without knowing who holds them.
 */
@Global()
@Module({
  imports: [SessionTrialsModule],
  controllers: [
    ...[PromptsController, ApprovalsController, KeptFramesController],
    ...[AgentTypeSettingsController, BoardSettingsController],
  ],
  providers: [
    ...[AddPromptHandler, ListPromptsHandler, FollowUps],
    ...[AnswerPermissionHandler, GetPermissionRequestHandler, ListPermissionRequestsHandler],
    ...[SetSessionSettingsHandler, RemoveSessionSettingsHandler, GetSessionSettingsHandler, SettingsSubjects],
    ...[KeptFrames, ListKeptFramesHandler, ListTurnUsageHandler],
    ...[DialoguePermissions, DialogueTurns, SessionNews, SessionAutomation, PromptKeeper],
    { provide: AgentDialogues, useClass: SessionDialogues },
  ],
  exports: [AgentDialogues, SessionTrialsModule],
})
export class SessionModule {}
