import { Global, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AuditLog } from './audit-log.js';
import { AuditController } from './audit.controller.js';
import { ListAuditHandler } from './audit.queries.js';

/** The audit log: for every module to write to, for administrators to read. */
@Global()
@Module({
  imports: [CqrsModule],
  controllers: [AuditController],
  providers: [AuditLog, ListAuditHandler],
  exports: [AuditLog],
})
export class AuditModule {}
