# syntax=docker/dockerfile:1
# One file for all five services:
#   docker build -f docker/service.Dockerfile --build-arg SERVICE=crypto-store -t postern/crypto-store .
# The final image holds the bundled service, its locked production packages and nothing of infra/ or libs/testing (R6).

ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
ARG SERVICE
WORKDIR /src
ENV NX_DAEMON=false NX_TUI=false CI=true
COPY package.json package-lock.json .npmrc nx.json tsconfig.base.json ./
COPY infra/build infra/build
COPY apps apps
COPY libs libs
COPY infra/keycloak/package.json infra/keycloak/package.json
COPY infra/cli/package.json infra/cli/package.json
COPY infra/dev/package.json infra/dev/package.json
COPY infra/bench/package.json infra/bench/package.json
COPY infra/assurance/package.json infra/assurance/package.json
RUN npm ci --omit=optional --no-fund --no-audit
RUN node infra/build/bundle.ts apps/${SERVICE}
# The bundle brings a lock file cut from the root's, so the tree is the one that was tested, hash for hash.
RUN cd dist/apps/${SERVICE} && npm ci --omit=dev --omit=optional --ignore-scripts --no-fund --no-audit

FROM ${NODE_IMAGE} AS service
ARG SERVICE
LABEL org.opencontainers.image.title="postern/${SERVICE}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production POSTERN_ENVIRONMENT=production
WORKDIR /service
COPY --from=build --chown=0:0 /src/dist/apps/${SERVICE} ./
# 65532 is the customary "nonroot"; nothing below /service is writable by it, and the root may be mounted read-only.
USER 65532:65532
EXPOSE 8443 9443 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.POSTERN_MANAGEMENT_PORT??8081)+'/health/live').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps"]
CMD ["main.js"]
