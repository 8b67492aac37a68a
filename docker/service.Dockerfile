# One file for all five services:
#   docker build -f docker/service.Dockerfile --build-arg SERVICE=crypto-store -t postern/crypto-store .
# The final image holds the bundled service, its locked production packages, and nothing of infra/ or libs/testing (R6).

ARG NODE_IMAGE=node:24.21.0-bookworm-slim

# What npm needs of the workspace, and nothing else of it. A COPY that keeps folders would do, but not every engine has one.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /src
COPY apps apps
COPY libs libs
COPY infra infra
RUN find . -type f ! -path './*/*/package.json' -delete && find . -depth -type d -empty -delete

FROM ${NODE_IMAGE} AS build
WORKDIR /src
# First what installs the tools: these layers are kept until a manifest changes, and all five services share them.
COPY package.json package-lock.json .npmrc ./
COPY --from=manifests /src ./
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY tsconfig.base.json ./
COPY infra/build infra/build
COPY libs libs
COPY apps apps
ARG SERVICE
RUN node infra/build/bundle.ts apps/${SERVICE}
# The bundle brings a lock file cut from the root's, so the tree is the one that was tested, hash for hash.
RUN cd dist/apps/${SERVICE} && npm ci --omit=dev --omit=optional --ignore-scripts --no-fund --no-audit

FROM ${NODE_IMAGE} AS service
# Nothing is installed in a running container. /data is for a volume: the one place that the user below may write to.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* \
  && install -d -o 65532 -g 65532 -m 0700 /data
ARG SERVICE
ARG VERSION=development
ARG REVISION=unknown
# What is in it stands in /service/sbom.cdx.json (CycloneDX) and THIRD-PARTY-NOTICES.txt.
LABEL org.opencontainers.image.title="postern/${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production POSTERN_ENVIRONMENT=production
WORKDIR /service
COPY --from=build --chown=0:0 /src/dist/apps/${SERVICE} ./
# 65532 is the customary "nonroot". It owns nothing below /service, and the root may be mounted read-only.
USER 65532:65532
EXPOSE 8443 9443 8081
STOPSIGNAL SIGTERM
# From inside, where the management listener answers on loopback whether it is bound to 127.0.0.1 or to 0.0.0.0.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+(process.env.POSTERN_MANAGEMENT_PORT||8081)+'/health/live').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
# The bundle is readable: source maps are for who asks (NODE_OPTIONS=--enable-source-maps), and cost a fifth of a start.
ENTRYPOINT ["node"]
CMD ["main.js"]
