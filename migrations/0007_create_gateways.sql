-- migrate:up
-- Upstream servers that this one federates. A slug is unique to its owner within a team; deleting a
-- team leaves its gateways without a team instead of deleting them.
create table gateways (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  url varchar(767) not null,
  description text,
  transport varchar(20) not null,
  capabilities json not null default '{}'::json,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  enabled boolean not null default true,
  last_seen timestamptz,
  auth_type varchar(20),
  auth_value json,
  reachable boolean not null default true,
  passthrough_headers json,
  tags jsonb not null default '[]'::jsonb,
  created_by varchar(255),
  created_from_ip varchar(45),
  created_via varchar(100),
  created_user_agent text,
  modified_by varchar(255),
  modified_from_ip varchar(45),
  modified_via varchar(100),
  modified_user_agent text,
  import_batch_id varchar(36),
  federation_source varchar(255),
  version integer not null default 1,
  oauth_config json,
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null default 'private',
  ca_certificate text,
  ca_certificate_sig varchar(64),
  signing_algorithm varchar(20),
  refresh_interval_seconds integer,
  last_refresh_at timestamptz,
  auth_query_params json,
  gateway_mode varchar(20) not null default 'cache',
  client_cert text,
  client_key text,
  identity_propagation json,
  status varchar(20) not null default 'active',
  status_message text,
  registration_attempts integer not null default 0,
  next_retry_at timestamptz,
  last_error text,
  lifecycle_claimed_by varchar(64),
  lifecycle_claimed_at timestamptz,
  lifecycle_claim_expires_at timestamptz,
  add_headers json,
  remove_headers json,
  constraint pk_gateways primary key (id),
  constraint uq_team_owner_slug_gateway unique (team_id, owner_email, slug),
  constraint fk_gateways_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create index idx_gateways_created_at on gateways (created_at);
create index idx_gateways_created_at_id on gateways (created_at, id);
create index idx_gateways_lifecycle_claim
  on gateways (status, next_retry_at, lifecycle_claim_expires_at);
create index idx_gateways_owner_visibility on gateways (owner_email, visibility);
create index idx_gateways_status_next_retry_at on gateways (status, next_retry_at);
create index idx_gateways_tags on gateways using gin (tags);
create index idx_gateways_team_id on gateways (team_id);
create index idx_gateways_team_id_created_at on gateways (team_id, created_at);
create index idx_gateways_team_visibility on gateways (team_id, visibility);
create index idx_gateways_team_visibility_active_created
  on gateways (team_id, visibility, enabled, created_at);
create index idx_gateways_visibility_active_created on gateways (visibility, enabled, created_at);

-- migrate:down
drop table gateways;
