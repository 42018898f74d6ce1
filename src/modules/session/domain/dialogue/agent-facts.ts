import type { SessionCapabilities, SessionModes } from '../../contracts/dialogue.types.js';
import { identifier, label, record, records, text, type Json } from './lenient.js';
import { MAX_AUTH_METHODS, MAX_ENTRIES, MAX_MODES, MAX_NAME } from './limits.js';
import type { AuthMethod } from './state.js';

/** Ids of modes and of ways to authenticate are names such as `plan`; 128 bytes as JSON. */
const MAX_NAME_BYTES = 128;
const MAX_VARIABLES = 8;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

/** Who the agent says it is in its answer to `initialize`. */
export function agentOf(facts: Json): { name: string; version: string | null } | null {
  const info = record(facts['agentInfo']);
  const name = label(info?.['title'], MAX_NAME) ?? label(info?.['name'], MAX_NAME);
  return name === null ? null : { name, version: label(info?.['version'], MAX_NAME) };
}

/** What the agent says it can. */
export function capabilitiesOf(facts: Json): SessionCapabilities {
  const can = record(facts['agentCapabilities']);
  const prompt = record(can?.['promptCapabilities']);
  const session = record(can?.['sessionCapabilities']);
  return {
    load: can?.['loadSession'] === true,
    resume: record(session?.['resume']) !== null,
    image: prompt?.['image'] === true,
    audio: prompt?.['audio'] === true,
    embedded_context: prompt?.['embeddedContext'] === true,
  };
}

/** The ways to authenticate, with the variables that they read where the agent tells them. */
export function authMethodsOf(facts: Json): AuthMethod[] {
  return records(facts['authMethods'])
    .slice(0, MAX_AUTH_METHODS)
    .flatMap((method) => {
      const id = identifier(method['id'], MAX_NAME_BYTES);
      if (id === null) return [];
      const listed = records(method['vars']).map((one) => one['name']);
      const variables = [method['varName'], ...listed].filter((one) => typeof one === 'string' && VARIABLE.test(one));
      const name = label(method['name'], MAX_NAME) ?? id;
      return [{ id, name, variables: (variables as string[]).slice(0, MAX_VARIABLES) }];
    });
}

/** The modes in an answer or an update; null where it has none. Some agents have them as one of their options. */
export function modesOf(facts: Json): SessionModes | null {
  return properModes(record(facts['modes'])) ?? modesOfOptions(facts['configOptions']);
}

function properModes(modes: Json | null): SessionModes | null {
  if (!modes) return null;
  const current = identifier(modes['currentModeId'], MAX_NAME_BYTES);
  return { current_id: current, available: namesOf(records(modes['availableModes']), 'id'), config_id: null };
}

function modesOfOptions(options: unknown): SessionModes | null {
  const option = records(options).find((one) => one['category'] === 'mode');
  const configId = identifier(option?.['id'], MAX_NAME_BYTES);
  if (!option || configId === null) return null;
  const current = identifier(option['currentValue'], MAX_NAME_BYTES);
  const choices = records(option['options']).flatMap((one) => ('options' in one ? records(one['options']) : [one]));
  return { current_id: current, available: namesOf(choices, 'value'), config_id: configId };
}

function namesOf(list: Json[], key: string): { mode_id: string; name: string }[] {
  const named = list.flatMap((one) => {
    const modeId = identifier(one[key], MAX_NAME_BYTES);
    return modeId === null ? [] : [{ mode_id: modeId, name: label(one['name'], MAX_NAME) ?? modeId }];
  });
  return named.slice(0, MAX_MODES);
}

/** An agent's options as people can read them. */
export function optionsOf(options: unknown): { option_id: string; name: string; value: string | boolean | null }[] {
  return records(options)
    .slice(0, MAX_ENTRIES)
    .flatMap((one) => {
      const id = label(one['id'], MAX_NAME);
      if (id === null) return [];
      const value = one['currentValue'];
      const shown = typeof value === 'boolean' ? value : label(text(value), MAX_NAME);
      return [{ option_id: id, name: label(one['name'], MAX_NAME) ?? id, value: shown }];
    });
}
