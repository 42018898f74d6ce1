/** What a host may offer and an agent type may ask for: `gpu`, `zone=eu`. */
export const HOST_LABEL = /^[a-z0-9][a-z0-9._/-]{0,62}(=[A-Za-z0-9._-]{0,63})?$/;

/** What a host has as long as its container engine answers, and what every agent type that runs in containers asks for. */
export const ENGINE_LABEL = 'container-engine';
