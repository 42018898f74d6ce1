/** Browsers' name for what fetch sends, which the client's generated code uses; Node's types lack it. */
type BodyInit = NonNullable<RequestInit['body']>;
