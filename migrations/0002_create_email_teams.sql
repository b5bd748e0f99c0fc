-- migrate:up
-- Teams own resources and limit who sees them. The check admits only the two visibilities that the
-- application understands.
create table email_teams (
  id varchar(36) not null,
  name varchar(255) not null,
  slug varchar(255) not null,
  description text,
  created_by varchar(255) not null,
  is_personal boolean not null default false,
  visibility varchar(20) not null default 'private',
  max_members integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  is_active boolean not null default true,
  constraint pk_email_teams primary key (id),
  constraint uq_email_teams_slug unique (slug),
  constraint ck_email_teams_ck_email_teams_visibility check (visibility in ('private', 'public')),
  constraint fk_email_teams_created_by foreign key (created_by) references email_users (email)
);

create index idx_email_teams_created_at_id on email_teams (created_at, id);
create index idx_email_teams_created_by on email_teams (created_by);
create index idx_email_teams_creator_personal_active
  on email_teams (created_by, is_personal, is_active);
create index idx_email_teams_visibility_active_created
  on email_teams (visibility, is_active, created_at);
create index ix_email_teams_name_id on email_teams (name, id);

-- migrate:down
drop table email_teams;
