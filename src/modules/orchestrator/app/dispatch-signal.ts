import { Injectable } from '@nestjs/common';
import { WakeUp } from '../../../common/bus/wake-up.js';

/** Rung when a run was queued or a slot has become free. */
@Injectable()
export class DispatchSignal extends WakeUp {}
