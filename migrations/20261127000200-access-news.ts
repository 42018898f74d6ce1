import { Migration } from '@mikro-orm/migrations';

/** Tells every server process that somebody may read more than before, or less, in the moment that it counts. */
export class AccessNews extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  // Whoever sees less now: everybody is looked at anew, so it is told once a statement, and names nobody.
  `create function tell_access() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_access', '');
     return null;
   end $$`,
  // Also by way of a board or a user that is deleted.
  `create trigger board_members_tell_end after delete on board_members
     for each statement execute function tell_access()`,
  `create trigger refresh_tokens_tell_end after update of revoked_at on refresh_tokens
     for each statement execute function tell_access()`,
  `create trigger api_keys_tell_end after update of revoked_at on api_keys
     for each statement execute function tell_access()`,
  `create trigger users_tell_change after delete or update of role, disabled_at on users
     for each statement execute function tell_access()`,
  // Whoever sees more: who, and which board, as nobody else is to be asked anew.
  `create function tell_member() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_access', new.user_id || ' ' || new.board_id);
     return null;
   end $$`,
  `create trigger board_members_tell_begin after insert on board_members
     for each row execute function tell_member()`,
];

const DOWN = [
  `drop trigger board_members_tell_begin on board_members`,
  `drop function tell_member()`,
  `drop trigger users_tell_change on users`,
  `drop trigger api_keys_tell_end on api_keys`,
  `drop trigger refresh_tokens_tell_end on refresh_tokens`,
  `drop trigger board_members_tell_end on board_members`,
  `drop function tell_access()`,
];
