-- migrate:up
-- People who can sign in. Every other table names a person by e-mail, so email carries a unique
-- constraint for foreign keys to refer to while id stays the primary key.
create table email_users (
  id varchar(36) not null,
  email varchar(255) not null,
  password_hash varchar(255) not null,
  full_name varchar(255),
  is_admin boolean not null default false,
  is_active boolean not null default true,
  email_verified_at timestamptz,
  auth_provider varchar(50) not null default 'local',
  password_hash_type varchar(20) not null default 'argon2id',
  failed_login_attempts integer not null default 0,
  locked_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  last_login timestamptz,
  password_change_required boolean not null default false,
  password_changed_at timestamptz,
  admin_origin varchar(20),
  constraint pk_email_users primary key (id),
  constraint uq_email_users_email unique (email)
);

create index idx_email_users_created_at_email on email_users (created_at, email);
create index ix_email_users_full_name on email_users (full_name);

-- migrate:down
drop table email_users;
