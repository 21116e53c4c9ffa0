# The jobs' image for act: a small stand-in for GitHub's ubuntu-latest, with a host-side HSM.
FROM debian:12-slim
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      bash ca-certificates curl git jq opensc openssl p11-kit softhsm2 \
 && rm -rf /var/lib/apt/lists/*
