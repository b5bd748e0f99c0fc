-- An existing installation whose database its models created at once and whose head is the same as
-- that of alembic.sql. What looks wrong here is so there, and not to be repaired: no column but
-- email_auth_events.id has a default, so an insert must give every other one that is not null;
-- user_roles has no migration_source and email_teams no check; email_users.email is unique twice.
--
-- Tables and columns stand in one order in both: `diff alembic.sql orm.sql` is how they differ.
-- Left out: indexes that are not unique, and most of grpc_services, which tools need to refer to.

create table email_users (
  email varchar(255) not null,
  password_hash varchar(255) not null,
  full_name varchar(255),
  is_admin boolean not null,
  is_active boolean not null,
  email_verified_at timestamptz,
  auth_provider varchar(50) not null,
  password_hash_type varchar(20) not null,
  failed_login_attempts integer not null,
  locked_until timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  last_login timestamptz,
  password_change_required boolean not null,
  password_changed_at timestamptz,
  admin_origin varchar(20),
  id varchar(36) not null,
  constraint pk_email_users primary key (id),
  constraint uq_email_users_email unique (email)
);
create unique index ix_email_users_email on email_users (email);

create table email_teams (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  description text,
  created_by varchar(255) not null,
  is_personal boolean not null,
  visibility varchar(20) not null,
  max_members integer,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  is_active boolean not null,
  constraint pk_email_teams primary key (id),
  constraint uq_email_teams_slug unique (slug),
  constraint fk_email_teams_created_by foreign key (created_by) references email_users (email)
);

create table email_team_members (
  id varchar(36) not null,
  team_id varchar(36) not null,
  user_email varchar(255) not null,
  role varchar(50) not null,
  joined_at timestamptz not null,
  invited_by varchar(255),
  is_active boolean not null,
  grant_source varchar(50),
  constraint pk_email_team_members primary key (id),
  constraint uq_team_member unique (team_id, user_email),
  constraint fk_email_team_members_invited_by
    foreign key (invited_by) references email_users (email),
  constraint fk_email_team_members_team_id
    foreign key (team_id) references email_teams (id) on delete cascade,
  constraint fk_email_team_members_user_email
    foreign key (user_email) references email_users (email)
);

create table email_team_member_history (
  id varchar(36) not null,
  team_member_id varchar(36) not null,
  team_id varchar(36) not null,
  user_email varchar(255) not null,
  role varchar(50) not null,
  action varchar(50) not null,
  action_by varchar(255),
  action_timestamp timestamptz not null,
  constraint pk_email_team_member_history primary key (id),
  constraint fk_email_team_member_history_action_by
    foreign key (action_by) references email_users (email),
  constraint fk_email_team_member_history_team_id
    foreign key (team_id) references email_teams (id),
  constraint fk_email_team_member_history_team_member_id
    foreign key (team_member_id) references email_team_members (id) on delete cascade,
  constraint fk_email_team_member_history_user_email
    foreign key (user_email) references email_users (email)
);

create table email_auth_events (
  id serial,
  "timestamp" timestamptz not null,
  user_email varchar(255),
  event_type varchar(50) not null,
  success boolean not null,
  ip_address varchar(45),
  user_agent text,
  failure_reason varchar(255),
  details text,
  constraint pk_email_auth_events primary key (id)
);

create table roles (
  id varchar(36) not null,
  name varchar(255) not null,
  description text,
  scope varchar(20) not null,
  permissions json not null,
  inherits_from varchar(36),
  created_by varchar(255) not null,
  is_system_role boolean not null,
  is_active boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint pk_roles primary key (id),
  constraint fk_roles_created_by foreign key (created_by) references email_users (email),
  constraint fk_roles_inherits_from foreign key (inherits_from) references roles (id)
);
create unique index uq_roles_name_scope_active on roles (name, scope) where is_active = true;

create table user_roles (
  id varchar(36) not null,
  user_email varchar(255) not null,
  role_id varchar(36) not null,
  scope varchar(20) not null,
  scope_id varchar(36),
  granted_by varchar(255) not null,
  granted_at timestamptz not null,
  expires_at timestamptz,
  is_active boolean not null,
  grant_source varchar(50),
  constraint pk_user_roles primary key (id),
  constraint fk_user_roles_granted_by foreign key (granted_by) references email_users (email),
  constraint fk_user_roles_role_id foreign key (role_id) references roles (id),
  constraint fk_user_roles_user_email foreign key (user_email) references email_users (email)
);
create unique index uq_user_roles_email_role_scope_id_active
  on user_roles (user_email, role_id, scope, scope_id)
  where scope_id is not null and is_active = true;
create unique index uq_user_roles_email_role_scope_null_active
  on user_roles (user_email, role_id, scope) where scope_id is null and is_active = true;

create table gateways (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  url varchar(767) not null,
  description text,
  transport varchar(20) not null,
  capabilities json not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  enabled boolean not null,
  last_seen timestamptz,
  auth_type varchar(20),
  auth_value json,
  reachable boolean not null,
  passthrough_headers json,
  tags json not null,
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
  version integer not null,
  oauth_config json,
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  ca_certificate text,
  ca_certificate_sig varchar(64),
  signing_algorithm varchar(20),
  refresh_interval_seconds integer,
  last_refresh_at timestamptz,
  auth_query_params json,
  gateway_mode varchar(20) not null,
  client_cert text,
  client_key text,
  identity_propagation json,
  status varchar(20) not null,
  status_message text,
  registration_attempts integer not null,
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

create table servers (
  id varchar(36) not null,
  name varchar(255) not null,
  description text,
  icon varchar(767),
  created_at timestamptz not null,
  updated_at timestamptz not null,
  enabled boolean not null,
  tags json not null,
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
  version integer not null,
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  oauth_enabled boolean not null,
  oauth_config json,
  constraint pk_servers primary key (id),
  constraint uq_team_owner_name_server unique (team_id, owner_email, name),
  constraint fk_servers_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create table grpc_services (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  target varchar(767) not null,
  constraint pk_grpc_services primary key (id),
  constraint uq_grpc_services_slug unique (slug)
);

create table tools (
  id varchar(36) not null,
  original_name varchar(255) not null,
  custom_name_slug varchar(255) not null,
  url varchar(767),
  description text,
  integration_type varchar(20) not null,
  request_type varchar(20) not null,
  headers json,
  input_schema json not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  enabled boolean not null,
  jsonpath_filter text not null,
  auth_type varchar(20),
  auth_value text,
  gateway_id varchar(36),
  name varchar(255) not null,
  annotations json,
  reachable boolean not null,
  tags json not null,
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
  version integer not null,
  custom_name varchar(255) not null,
  display_name varchar(255),
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  output_schema json,
  base_url varchar,
  path_template varchar,
  query_mapping json,
  header_mapping json,
  timeout_ms integer,
  expose_passthrough boolean not null,
  allowlist json,
  plugin_chain_pre json,
  plugin_chain_post json,
  original_description text,
  title varchar(255),
  grpc_service_id varchar(36),
  deprecated boolean not null,
  extension_metadata json,
  constraint pk_tools primary key (id),
  constraint uq_gateway_id__original_name unique (gateway_id, original_name),
  constraint uq_team_owner_email_name_tool unique (team_id, owner_email, name),
  constraint fk_tools_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_tools_grpc_service_id
    foreign key (grpc_service_id) references grpc_services (id) on delete cascade,
  constraint fk_tools_team_id foreign key (team_id) references email_teams (id) on delete set null
);

create table resources (
  id varchar(36) not null,
  uri varchar(767) not null,
  name varchar(255) not null,
  description text,
  mime_type varchar(255),
  size integer,
  uri_template text,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  enabled boolean not null,
  tags json not null,
  text_content text,
  binary_content bytea,
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
  version integer not null,
  gateway_id varchar(36),
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  title varchar(255),
  extension_metadata json,
  constraint pk_resources primary key (id),
  constraint uq_team_owner_gateway_uri_resource unique (team_id, owner_email, gateway_id, uri),
  constraint fk_resources_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_resources_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);
create unique index uq_team_owner_uri_resource_local
  on resources (team_id, owner_email, uri) where gateway_id is null;

create table prompts (
  id varchar(36) not null,
  name varchar(255) not null,
  description text,
  template text not null,
  argument_schema json not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  enabled boolean not null,
  tags json not null,
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
  version integer not null,
  gateway_id varchar(36),
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  original_name varchar(255) not null,
  custom_name varchar(255) not null,
  custom_name_slug varchar(255) not null,
  display_name varchar(255),
  title varchar(255),
  constraint pk_prompts primary key (id),
  constraint uq_gateway_id__original_name_prompt unique (gateway_id, original_name),
  constraint uq_team_owner_gateway_name_prompt unique (team_id, owner_email, gateway_id, name),
  constraint fk_prompts_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_prompts_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);
create unique index uq_team_owner_name_prompt_local
  on prompts (team_id, owner_email, name) where gateway_id is null;

create table a2a_agents (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  description text,
  endpoint_url varchar(767) not null,
  agent_type varchar(50) not null,
  protocol_version varchar(10) not null,
  capabilities json not null,
  config json not null,
  auth_type varchar(20),
  auth_value text,
  enabled boolean not null,
  reachable boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  last_interaction timestamptz,
  tags json not null,
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
  version integer not null,
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null,
  oauth_config json,
  passthrough_headers json,
  tool_id varchar(36),
  auth_query_params json,
  tenant varchar(255),
  icon_url varchar(767),
  uaid varchar(2048),
  uaid_registry varchar(255),
  uaid_proto varchar(50),
  uaid_native_id varchar(767),
  constraint pk_a2a_agents primary key (id),
  constraint uq_team_owner_slug_a2a_agent unique (team_id, owner_email, slug),
  constraint fk_a2a_agents_tool_id foreign key (tool_id) references tools (id) on delete set null,
  constraint fk_a2a_agents_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);
create unique index ix_a2a_agents_uaid on a2a_agents (uaid);
