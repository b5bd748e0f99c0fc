-- migrate:up
-- Agents reached over an agent-to-agent protocol, each optionally offered as a tool. Removing the
-- tool keeps the agent. A slug is unique to its owner within a team.
create table a2a_agents (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  description text,
  icon_url varchar(767),
  endpoint_url varchar(767) not null,
  agent_type varchar(50) not null default 'generic',
  protocol_version varchar(10) not null default '1.0',
  capabilities json not null default '{}'::json,
  config json not null default '{}'::json,
  auth_type varchar(50),
  auth_value text,
  auth_query_params json,
  oauth_config json,
  passthrough_headers json,
  enabled boolean not null default true,
  reachable boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_interaction timestamptz,
  tags json not null default '[]'::json,
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
  tool_id varchar(36),
  tenant varchar(255),
  uaid varchar(2048),
  uaid_registry varchar(255),
  uaid_proto varchar(50),
  uaid_native_id varchar(767),
  constraint pk_a2a_agents primary key (id),
  constraint uq_team_owner_slug_a2a_agent unique (team_id, owner_email, slug),
  constraint fk_a2a_agents_team_id
    foreign key (team_id) references email_teams (id) on delete set null,
  constraint fk_a2a_agents_tool_id
    foreign key (tool_id) references tools (id) on delete set null
);

create index idx_a2a_agents_created_at_id on a2a_agents (created_at, id);
create index idx_a2a_agents_enabled on a2a_agents (enabled);
create index idx_a2a_agents_name on a2a_agents (name);
create index idx_a2a_agents_owner_visibility on a2a_agents (owner_email, visibility);
create index idx_a2a_agents_slug on a2a_agents (slug);
create index idx_a2a_agents_slug_visibility on a2a_agents (slug, visibility);
create index idx_a2a_agents_team_id on a2a_agents (team_id);
create index idx_a2a_agents_team_visibility on a2a_agents (team_id, visibility);
create index idx_a2a_agents_team_visibility_active_created
  on a2a_agents (team_id, visibility, enabled, created_at);
create index idx_a2a_agents_tool_id on a2a_agents (tool_id);
create index idx_a2a_agents_visibility on a2a_agents (visibility);
create index idx_a2a_agents_visibility_active_created
  on a2a_agents (visibility, enabled, created_at);
create unique index ix_a2a_agents_uaid on a2a_agents (uaid);

-- migrate:down
drop table a2a_agents;
