-- migrate:up
-- Readable resources, local or discovered through a gateway, with which they vanish. A unique
-- constraint treats NULL gateways as different, so local resources have their own unique index.
create table resources (
  id varchar(36) not null,
  uri varchar(767) not null,
  name varchar(255) not null,
  title varchar(255),
  description text,
  mime_type varchar(255),
  size integer,
  uri_template text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  enabled boolean not null default true,
  tags json not null default '[]'::json,
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
  version integer not null default 1,
  gateway_id varchar(36),
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null default 'public',
  extension_metadata json,
  constraint pk_resources primary key (id),
  constraint uq_team_owner_gateway_uri_resource unique (team_id, owner_email, gateway_id, uri),
  constraint fk_resources_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_resources_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create index idx_resources_created_at_id on resources (created_at, id);
create index idx_resources_gateway_id on resources (gateway_id);
create index idx_resources_team_id on resources (team_id);
create index idx_resources_team_visibility_active_created
  on resources (team_id, visibility, enabled, created_at);
create index idx_resources_visibility_active_created on resources (visibility, enabled, created_at);
create unique index uq_team_owner_uri_resource_local
  on resources (team_id, owner_email, uri) where gateway_id is null;

-- migrate:down
drop table resources;
