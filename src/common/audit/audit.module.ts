import { Global, Module } from '@nestjs/common';
import { AuditLog } from './audit-log.js';

/** The audit log, for every module to write to. */
@Global()
@Module({ providers: [AuditLog], exports: [AuditLog] })
export class AuditModule {}
