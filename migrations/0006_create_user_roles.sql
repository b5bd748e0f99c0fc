-- migrate:up
-- Grants of a role to a person, everywhere (scope_id is null) or within one team. Revoking sets
-- is_active = false: the row stays as the record of who had what, when and from whom.
create table user_roles (
  id varchar(36) not null,
  user_email varchar(255) not null,
  role_id varchar(36) not null,
  scope varchar(20) not null,
  scope_id varchar(36),
  granted_by varchar(255) not null,
  granted_at timestamptz not null default now(),
  expires_at timestamptz,
  is_active boolean not null default true,
  migration_source varchar(50),
  grant_source varchar(50),
  constraint pk_user_roles primary key (id),
  constraint fk_user_roles_user_email foreign key (user_email) references email_users (email),
  constraint fk_user_roles_role_id foreign key (role_id) references roles (id),
  constraint fk_user_roles_granted_by foreign key (granted_by) references email_users (email)
);

create index idx_user_roles_granted_by on user_roles (granted_by);
create index idx_user_roles_role_id on user_roles (role_id);
create index idx_user_roles_role_scope_active on user_roles (role_id, scope, is_active);
create index idx_user_roles_scope on user_roles (scope);
create index idx_user_roles_scope_id on user_roles (scope_id);
create index idx_user_roles_user_email on user_roles (user_email);
create index idx_user_roles_user_scope_active on user_roles (user_email, scope, is_active);

-- migrate:down
drop table user_roles;
