import { Injectable, type PipeTransform } from '@nestjs/common';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import { BUDGET_PERIODS, type BudgetPeriod } from '../domain/budget.js';

export const PERIOD = {
  ...{ name: 'period', enum: BUDGET_PERIODS, enumName: 'BudgetPeriod', example: 'day' },
  description: '`run`: each run by itself; `total`: all runs ever; `day`: attempts that began on one day (UTC).',
} as const;
/** Of agent types. */
export const RUN_PERIOD = {
  ...{ name: 'period', enum: ['run'], example: 'run' },
  description: 'Each run by itself.',
};

/** @throws DomainError `request.invalid` */
@Injectable()
export class PeriodPipe implements PipeTransform<unknown, BudgetPeriod> {
  transform(value: unknown): BudgetPeriod {
    return oneOf(BUDGET_PERIODS, value);
  }
}

/** The same, for agent types. @throws DomainError `request.invalid` */
@Injectable()
export class RunPeriodPipe implements PipeTransform<unknown, BudgetPeriod> {
  transform(value: unknown): BudgetPeriod {
    return oneOf(['run'], value);
  }
}

function oneOf(periods: readonly BudgetPeriod[], value: unknown): BudgetPeriod {
  const period = periods.find((each) => each === value);
  if (period) return period;
  throw invalidRequest([{ field: 'period', message: `must be one of ${periods.join(', ')}` }]);
}
