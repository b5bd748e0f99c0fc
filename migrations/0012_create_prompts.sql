-- migrate:up
-- Prompt templates, local or discovered through a gateway, with which they vanish. A unique
-- constraint treats NULL gateways as different, so local prompts have their own unique index.
create table prompts (
  id varchar(36) not null,
  original_name varchar(255) not null,
  custom_name varchar(255) not null,
  custom_name_slug varchar(255) not null,
  display_name varchar(255),
  name varchar(255) not null,
  title varchar(255),
  description text,
  template text not null,
  argument_schema json not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  enabled boolean not null default true,
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
  gateway_id varchar(36),
  team_id varchar(36),
  owner_email varchar(255),
  visibility varchar(20) not null default 'public',
  constraint pk_prompts primary key (id),
  constraint uq_gateway_id__original_name_prompt unique (gateway_id, original_name),
  constraint uq_team_owner_gateway_name_prompt unique (team_id, owner_email, gateway_id, name),
  constraint fk_prompts_gateway_id
    foreign key (gateway_id) references gateways (id) on delete cascade,
  constraint fk_prompts_team_id
    foreign key (team_id) references email_teams (id) on delete set null
);

create index idx_prompts_created_at_id on prompts (created_at, id);
create index idx_prompts_gateway_id on prompts (gateway_id);
create index idx_prompts_team_id on prompts (team_id);
create index idx_prompts_team_visibility_active_created
  on prompts (team_id, visibility, enabled, created_at);
create index idx_prompts_visibility_active_created on prompts (visibility, enabled, created_at);
create unique index uq_team_owner_name_prompt_local
  on prompts (team_id, owner_email, name) where gateway_id is null;

-- migrate:down
drop table prompts;
