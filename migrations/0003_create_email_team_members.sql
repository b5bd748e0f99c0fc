-- migrate:up
-- Who belongs to which team, and every change to that. A member has one row per team; the history
-- goes with the membership it describes, so deleting a team removes both.
create table email_team_members (
  id varchar(36) not null,
  team_id varchar(36) not null,
  user_email varchar(255) not null,
  role varchar(50) not null default 'member',
  joined_at timestamptz not null default now(),
  invited_by varchar(255),
  is_active boolean not null default true,
  grant_source varchar(50),
  constraint pk_email_team_members primary key (id),
  constraint uq_team_member unique (team_id, user_email),
  constraint fk_email_team_members_team_id
    foreign key (team_id) references email_teams (id) on delete cascade,
  constraint fk_email_team_members_user_email
    foreign key (user_email) references email_users (email),
  constraint fk_email_team_members_invited_by
    foreign key (invited_by) references email_users (email)
);

create index idx_email_team_members_invited_by on email_team_members (invited_by);
create index idx_email_team_members_team_active_partial
  on email_team_members (team_id) where is_active = true;
create index idx_email_team_members_team_id on email_team_members (team_id);
create index idx_email_team_members_team_role_active
  on email_team_members (team_id, role, is_active);
create index idx_email_team_members_user_email on email_team_members (user_email);
create index idx_email_team_members_user_team_active
  on email_team_members (user_email, team_id, is_active);

create table email_team_member_history (
  id varchar(36) not null,
  team_member_id varchar(36) not null,
  team_id varchar(36) not null,
  user_email varchar(255) not null,
  role varchar(50) not null default 'member',
  action varchar(50) not null,
  action_by varchar(255),
  action_timestamp timestamptz not null default now(),
  constraint pk_email_team_member_history primary key (id),
  constraint fk_email_team_member_history_team_member_id
    foreign key (team_member_id) references email_team_members (id) on delete cascade,
  constraint fk_email_team_member_history_team_id
    foreign key (team_id) references email_teams (id),
  constraint fk_email_team_member_history_user_email
    foreign key (user_email) references email_users (email),
  constraint fk_email_team_member_history_action_by
    foreign key (action_by) references email_users (email)
);

create index idx_email_team_member_history_action_by on email_team_member_history (action_by);
create index idx_email_team_member_history_team_id on email_team_member_history (team_id);
create index idx_email_team_member_history_team_member_id
  on email_team_member_history (team_member_id);
create index idx_email_team_member_history_user_email on email_team_member_history (user_email);

-- migrate:down
drop table email_team_member_history;
drop table email_team_members;
