-- migrate:up
-- Callable tools, local or discovered through a gateway or a gRPC service, with which they vanish.
-- A name is unique to its owner within a team, an original name within its gateway.
create table tools (
  id varchar(36) not null,
  original_name varchar(255) not null,
  custom_name varchar(255) not null,
  custom_name_slug varchar(255) not null,
  display_name varchar(255),
  name varchar(255) not null,
  title varchar(255),
  url varchar(767),
  original_description text,
  description text,
  integration_type varchar(20) not null,
  request_type varchar(20) not null,
  headers json,
  input_schema json not null,
  output_schema json,
  annotations json,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  enabled boolean not null default true,
  reachable boolean not null default true,
  deprecated boolean not null default false,
  jsonpath_filter text not null default '',
  auth_type varchar(20),
  auth_value text,
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
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null default 'private',
  base_url varchar,
  path_template varchar,
  query_mapping json,
  header_mapping json,
  timeout_ms integer,
  expose_passthrough boolean not null default true,
  allowlist json,
  plugin_chain_pre json,
  plugin_chain_post json,
  extension_metadata json,
  gateway_id varchar(36),
  grpc_service_id varchar(36),
  constraint pk_tools primary key (id),
  constraint uq_gateway_id__original_name unique (gateway_id, original_name),
  constraint uq_team_owner_email_name_tool unique (team_id, owner_email, name),
  constraint fk_tools_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_tools_grpc_service_id
    foreign key (grpc_service_id) references grpc_services (id) on delete cascade,
  constraint fk_tools_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create index idx_tools_created_at on tools (created_at);
create index idx_tools_created_at_id on tools (created_at, id);
create index idx_tools_gateway_id on tools (gateway_id);
create index idx_tools_owner_visibility on tools (owner_email, visibility);
create index idx_tools_tags on tools using gin (tags);
create index idx_tools_team_id on tools (team_id);
create index idx_tools_team_id_created_at on tools (team_id, created_at);
create index idx_tools_team_visibility on tools (team_id, visibility);
create index idx_tools_team_visibility_active_created
  on tools (team_id, visibility, enabled, created_at);
create index idx_tools_visibility_active_created on tools (visibility, enabled, created_at);

-- migrate:down
drop table tools;
