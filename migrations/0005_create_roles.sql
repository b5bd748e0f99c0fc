-- migrate:up
-- Roles bundle permissions. Retiring a role sets is_active = false and deletes nothing, so that old
-- grants stay explainable; a name may therefore return in several inactive rows.
create table roles (
  id varchar(36) not null,
  name varchar(255) not null,
  description text,
  scope varchar(20) not null,
  permissions json not null default '[]'::json,
  inherits_from varchar(36),
  created_by varchar(255) not null,
  is_system_role boolean not null default false,
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint pk_roles primary key (id),
  constraint fk_roles_created_by foreign key (created_by) references email_users (email),
  constraint fk_roles_inherits_from foreign key (inherits_from) references roles (id)
);

create index idx_roles_created_by on roles (created_by);
create index idx_roles_inherits_from on roles (inherits_from);

-- migrate:down
drop table roles;
