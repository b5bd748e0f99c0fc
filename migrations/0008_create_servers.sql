-- migrate:up
-- Virtual servers that a team publishes. A name is unique to its owner within a team, so that two
-- teams may use the same one.
create table servers (
  id varchar(36) not null,
  name varchar(255) not null,
  description text,
  icon varchar(767),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  enabled boolean not null default true,
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
  oauth_enabled boolean not null default false,
  oauth_config json,
  constraint pk_servers primary key (id),
  constraint uq_team_owner_name_server unique (team_id, owner_email, name),
  constraint fk_servers_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create index idx_servers_created_at on servers (created_at);
create index idx_servers_created_at_id on servers (created_at, id);
create index idx_servers_owner_visibility on servers (owner_email, visibility);
create index idx_servers_tags on servers using gin (tags);
create index idx_servers_team_id on servers (team_id);
create index idx_servers_team_id_created_at on servers (team_id, created_at);
create index idx_servers_team_visibility on servers (team_id, visibility);
create index idx_servers_team_visibility_active_created
  on servers (team_id, visibility, enabled, created_at);
create index idx_servers_visibility_active_created on servers (visibility, enabled, created_at);

-- migrate:down
drop table servers;
